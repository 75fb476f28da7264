//! The browser itself, on pages that are made for it.

mod browser;
