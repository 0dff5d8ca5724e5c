#!lua flags=allow-oom
-- A step of a drop: the checkpoint goes first, so that whoever still writes to the space is
-- refused; in the same step as the keys, because somebody may have begun the space anew since.
-- KEYS  checkpoint, the set or sorted set that lists the keys; the keys
-- ARGV  'SREM' or 'ZREM', the channel; how the keys stand in the list
-- Returns whether there was a checkpoint.
local had_checkpoint = redis.call('DEL', KEYS[1])
if had_checkpoint == 1 then
  redis.call('PUBLISH', ARGV[2], '')
end
for i = 3, #KEYS, 4000 do
  local to = math.min(i + 3999, #KEYS)
  redis.call('UNLINK', unpack(KEYS, i, to))
  -- Of a wrong type? Then it goes as well, when the lists are all that is left.
  redis.pcall(ARGV[1], KEYS[2], unpack(ARGV, i, to))
end
return had_checkpoint
