//! Back ends as cards see them: honest peers, and the fuzz corpus.

mod backends;
mod fuzz;
