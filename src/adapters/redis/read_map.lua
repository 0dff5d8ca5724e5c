#!lua flags=no-writes
-- A map, with the checkpoint of that moment.
-- KEYS  checkpoint, map
return { redis.call('GET', KEYS[1]), redis.call('HGETALL', KEYS[2]) }
