//! The daemon and command line of Sphere.
