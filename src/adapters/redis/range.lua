#!lua flags=no-writes
-- A page of an index, with the checkpoint of that moment.
-- KEYS  checkpoint, index
-- ARGV  where to begin, where to end (as ZRANGE BYLEX wants them), the most members, '1' from the
--       highest down
if ARGV[4] == '1' then
  return {
    redis.call('GET', KEYS[1]),
    redis.call('ZRANGE', KEYS[2], ARGV[1], ARGV[2], 'BYLEX', 'REV', 'LIMIT', 0, ARGV[3]),
  }
end
return {
  redis.call('GET', KEYS[1]),
  redis.call('ZRANGE', KEYS[2], ARGV[1], ARGV[2], 'BYLEX', 'LIMIT', 0, ARGV[3]),
}
