//! The attributes of Stepwell.
