//! What the broker serves to people, in a real browser. Controls are found by the names that people read.

mod documentation;
