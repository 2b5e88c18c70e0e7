//! Where a communication stands (IBA volume 1, 12.9).
//!
//! ```text
//!  active                                    passive
//!
//!  connect                                   receive REQ
//!    |                                         |
//!  ReqSent --.  expire: REQ again              ReqReceived --. receive REQ: MRA
//!    |   |   `- receive MRA: wait longer       |   |         `- delay: MRA
//!    |   |-> expire, at last: Released         |   `-> receive REJ, reject, abandon:
//!    |   `-> receive REJ, abandon: TimeWait    |       Released
//!    | receive REP                             | accept
//!  RepReceived --. receive REP, delay: MRA   RepSent ---.  expire, receive REQ: REP again
//!    |    `-> receive REJ or DREQ, reject,     |   |    `- receive MRA: wait longer
//!    |        abandon: TimeWait                |   `-> receive REJ or DREQ, expire at last,
//!    |                                         |       abandon: TimeWait
//!    | establish                               | receive RTU, established
//!    '-------------> Established <-------------'
//!                      |     |
//!  disconnect, abandon |     | receive DREQ, REJ
//!                  DreqSent  |     expire: DREQ again
//!                      |     |
//!  receive DREP, DREQ, |     |
//!  REJ; expire at last v     v
//!                      TimeWait    receive DREQ: DREP again; receive REQ, REP, RTU: REJ
//!                         | expire
//!                      Released
//!
//!  resolve: SidrReqSent -- receive SIDR_REP, expire at last, abandon --> Released
//!  receive SIDR_REQ: SidrReqReceived -- answer, reject, abandon --> Released
//! ```

/// Where a communication stands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum State {
    /// Active: REQ is sent, and sent again, until an answer comes.
    ReqSent,
    /// Active: REP came, and the application has not yet established or rejected.
    RepReceived,
    /// Passive: REQ came, and the application has not yet accepted or rejected.
    ReqReceived,
    /// Passive: REP is sent, and sent again, until the peer confirms.
    RepSent,
    /// The connection stands.
    Established,
    /// DREQ is sent, and sent again, until an answer comes.
    DreqSent,
    /// All is over; messages and packets of it may still be under way.
    TimeWait,
    /// Active: SIDR_REQ is sent, and sent again, until an answer comes.
    SidrReqSent,
    /// Passive: SIDR_REQ came, and the application has not yet answered.
    SidrReqReceived,
}
