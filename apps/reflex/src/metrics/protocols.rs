//! What the network stack, its DHCP client and RDMA count, once they are started.

use crate::System;
use crate::net::dhcp;
use reflex_metrics::{Description, Kind, Label, LabelValue, Sample};

static SENT: Description =
    Description::system("reflex_dhcp_sent_total", "DHCP messages sent.", Kind::Counter);
static ACCEPTED: Description =
    Description::system("reflex_dhcp_accepted_total", "DHCP messages accepted.", Kind::Counter);
static REFUSED: Description = Description::system(
    "reflex_dhcp_refused_total",
    "Frames and DHCP messages refused.",
    Kind::Counter,
);
static ODD: Description = Description::system(
    "reflex_dhcp_odd_total",
    "What was strange in DHCP messages that were accepted.",
    Kind::Counter,
);

pub(super) fn each(system: System, tell: &mut dyn FnMut(Sample)) {
    if let Some(net) = system.started_net() {
        net.counters().each(tell);
        if let Some(counters) = net.dhcp_counters() {
            each_of_dhcp(&counters, tell);
        }
    }
    if let Some(rdma) = system.started_rdma() {
        rdma.counters().each(tell);
    }
}

fn each_of_dhcp(counters: &dhcp::Counters, tell: &mut dyn FnMut(Sample)) {
    let because = |what: &Description, reason, count| {
        let label = Label { key: "reason", value: LabelValue::Text(reason) };
        Sample { label: Some(label), ..what.number(count) }
    };
    tell(SENT.number(counters.sent));
    tell(ACCEPTED.number(counters.accepted));
    for error in dhcp::Error::ALL {
        tell(because(&REFUSED, error.sentence(), counters.refused(error)));
    }
    for oddity in dhcp::Oddity::ALL {
        tell(because(&ODD, oddity.sentence(), counters.odd(oddity)));
    }
}
