#!lua
-- Sets a field of a hash, if it is the expected one; returns whether it was.
-- KEYS  the hash
-- ARGV  the field, the expected value ('' for none), the new value
if (redis.call('HGET', KEYS[1], ARGV[1]) or '') ~= ARGV[2] then
  return 0
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1
