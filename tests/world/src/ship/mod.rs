//! Appliances as they are shipped: disks and ISOs, booted by the firmware that machines have.

mod images;
mod reproducible;
