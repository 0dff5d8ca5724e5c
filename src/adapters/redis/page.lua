#!lua flags=no-writes
-- A page of an index with the values that its members name, and the checkpoint of that moment.
--
-- The keys of the values are not among KEYS, since only the index knows them; they share the slot
-- of those that are.
--
-- KEYS  checkpoint, index
-- ARGV  where to begin, where to end (as ZRANGE BYLEX wants them), the most members, '1' from the
--       highest down; what the keys of values begin with, the bytes after which no value follows
-- Returns the checkpoint, the members, and their values as far as the bytes go.

-- Values read at once: so many more than the page may hold are read in vain, at most.
local BLOCK = 100

local members
if ARGV[4] == '1' then
  members = redis.call('ZRANGE', KEYS[2], ARGV[1], ARGV[2], 'BYLEX', 'REV', 'LIMIT', 0, ARGV[3])
else
  members = redis.call('ZRANGE', KEYS[2], ARGV[1], ARGV[2], 'BYLEX', 'LIMIT', 0, ARGV[3])
end

-- What stands after the last zero byte.
local function named(member)
  local zero = string.find(string.reverse(member), '\0', 1, true)
  return zero and string.sub(member, #member - zero + 2) or member
end

local prefix, bytes_max = ARGV[5], tonumber(ARGV[6])
local values, bytes = {}, 0
for from = 1, #members, BLOCK do
  local keys = {}
  for i = from, math.min(from + BLOCK - 1, #members) do
    keys[#keys + 1] = prefix .. named(members[i])
  end
  for _, value in ipairs(redis.call('MGET', unpack(keys))) do
    if bytes > bytes_max then
      return { redis.call('GET', KEYS[1]), members, values }
    end
    values[#values + 1] = value
    bytes = bytes + (value and #value or 0)
  end
end
return { redis.call('GET', KEYS[1]), members, values }
