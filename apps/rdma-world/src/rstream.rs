//! `rstream`, over rsockets: the client sends so many messages, and the server as many back, again and again.

use crate::options::Options;
use crate::rsocket::Rsocket;
use rdma_script::Desk;
use reflex::Error;

const PORT: u16 = 7471;
/// Bytes of a message unless others are asked for.
const SIZE: usize = 64;
/// Bytes by which both sides make sure that the other is there.
const SYNCHRONISATION: usize = 16;

pub(crate) async fn play(desk: Desk, options: Options) -> Result<(), Error> {
    let port = options.port.unwrap_or(PORT);
    let size = options.size.unwrap_or(SIZE);
    let mut socket = match options.peer {
        Some(server) => Rsocket::connect(&desk, (server, port)).await?,
        None => Rsocket::accept(&desk, port).await?,
    };
    let is_client = options.peer.is_some();
    turn(&mut socket, is_client, SYNCHRONISATION, 1).await?;
    let began = desk.system.now();
    for _ in 0..options.iterations {
        turn(&mut socket, is_client, size, options.count).await?;
    }
    let micros = (desk.system.now().since(began).as_micros() as u64).max(1);
    let bytes = 2 * (options.iterations * options.count * size) as u64;
    reflex::println!("{bytes} bytes in {micros} us: {} KB/s", bytes * 1000 / micros);
    socket.close().await
}

/// So many messages each way, the client's first.
async fn turn(
    socket: &mut Rsocket,
    is_client: bool,
    size: usize,
    count: usize,
) -> Result<(), Error> {
    let message = alloc::vec![0; size];
    for sends in [is_client, !is_client] {
        for _ in 0..count {
            if sends {
                socket.write(&message).await?;
            } else {
                socket.read(size).await?;
            }
        }
    }
    Ok(())
}
