//! A DHCP client among servers of all kinds, in time that is made up.

mod acquiring;
mod captures;
mod declining;
mod frames;
mod hostile;
mod informing;
mod options;
mod rebooting;
mod renewing;
mod requests;
mod selecting;
mod simulation;
mod support;
mod timing;
mod values;
