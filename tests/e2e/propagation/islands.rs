//! Network namespaces: two islands of two namespaces each, with the same addresses, and the same programs on both.
