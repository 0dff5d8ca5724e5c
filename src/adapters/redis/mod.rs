//! The view store on Redis (bb8-redis).
