//! Price charts as pictures.
