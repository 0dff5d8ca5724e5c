//! The dashboard in a real Chromium: a test for each thing that a person does there.

mod aggregate;
mod commands;
mod home;
mod keyboard;
mod log;
mod looks;
mod markup;
mod operations;
mod parked;
mod pictures;
mod search;
mod sign_in;
mod views;
