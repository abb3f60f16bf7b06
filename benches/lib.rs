//! Measurements of Sphere.
