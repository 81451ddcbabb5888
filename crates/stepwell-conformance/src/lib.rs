//! stepwell-conformance
