//! stepwell-sqlite
