//! Tests of simulated machines are in the folder `tests`.
#![no_std]
