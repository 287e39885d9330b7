mod words; mod units; pub use words::nearest; pub use units::*;
