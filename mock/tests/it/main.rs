//! What clients see of mocks, sound ones and faulty ones.

mod faults;
mod rules;
mod talk;
