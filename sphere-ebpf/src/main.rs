//! The XDP and tc programs of Sphere.
#![no_std]
#![no_main]
