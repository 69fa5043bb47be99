//! The suite passes sound servers and finds what is wrong with others.

mod book;
mod faults;
mod peer;
mod relays;
mod reports;
mod sound;
