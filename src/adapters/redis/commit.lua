#!lua
-- A commit: all changes and the new checkpoint, if the checkpoint is the expected one.
--
-- Redis runs a script alone, but does not undo what it wrote before an error. So everything that
-- can be wrong is looked at first, and while changes are written the checkpoint says `torn`.
--
-- KEYS  checkpoint, parts; then the keys of puts, of deletes, of puts that expire, of indexes,
--       and of maps
-- ARGV  1 the expected checkpoint, 2 the new one (both '' for none), 3 the channel;
--       4 to 8 how many puts, deletes, puts that expire, indexes, maps; then
--       each put: value
--       each put that expires: value, milliseconds
--       each index: how many members are added, how many are removed; those members
--       each map: milliseconds (0 for ever, '' as it is), how many fields are put, how many are
--       removed; names and values of those put, names of those removed
-- Returns 1, or the checkpoint that is not the expected one.

local call, try = redis.call, redis.pcall
-- Fewer than Lua's stack takes at once, and even.
local BLOCK = 4000

local state = call('GET', KEYS[1]) or ''
if state ~= ARGV[1] then
  return state
end

local puts, deletes, expiring = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local indexes, maps = tonumber(ARGV[7]), tonumber(ARGV[8])
local values = puts + deletes + expiring
local first_put, first_delete, first_expiring = 3, 3 + puts, 3 + puts + deletes
local first_index, first_map = 3 + values, 3 + values + indexes

local function torn(what)
  return redis.error_reply('TORN ' .. what)
end

-- Look.

if #KEYS ~= 2 + values + indexes + maps then
  return torn('a commit with other keys than it counts')
end
if type(try('SCARD', KEYS[2])) == 'table' then
  return torn(KEYS[2] .. ' is no set')
end
for i = 3, 2 + values do
  if type(try('STRLEN', KEYS[i])) == 'table' then
    return torn(KEYS[i] .. ' is no string')
  end
end
local at = 9 + puts
for i = at + 1, at + 2 * expiring, 2 do
  if not tonumber(ARGV[i]) then
    return torn('an expiry that is no number')
  end
end
at = at + 2 * expiring
local parts = {}
for i = first_index, first_index + indexes - 1 do
  local len = try('ZCARD', KEYS[i])
  if type(len) == 'table' then
    return torn(KEYS[i] .. ' is no sorted set')
  elseif len == 0 then
    parts[#parts + 1] = KEYS[i]
  end
  at = at + 2 + tonumber(ARGV[at]) + tonumber(ARGV[at + 1])
end
for i = first_map, first_map + maps - 1 do
  if type(try('HLEN', KEYS[i])) == 'table' then
    return torn(KEYS[i] .. ' is no hash')
  elseif ARGV[at] == '0' then
    parts[#parts + 1] = KEYS[i]
  end
  at = at + 3 + 2 * tonumber(ARGV[at + 1]) + tonumber(ARGV[at + 2])
end
if at ~= #ARGV + 1 then
  return torn('a commit with other arguments than it counts')
end

-- Write.

-- Calls a command on a key with ARGV[from] to ARGV[to], in blocks; between two arguments stands
-- `score`, if one is given.
local function each(command, key, from, to, score)
  local args, len = { key }, 1
  for i = from, to do
    if score then
      len = len + 1
      args[len] = score
    end
    len = len + 1
    args[len] = ARGV[i]
    if len > BLOCK and len % 2 == 1 then
      call(command, unpack(args, 1, len))
      len = 1
    end
  end
  if len > 1 then
    call(command, unpack(args, 1, len))
  end
end

call('SET', KEYS[1], 'torn')
for i = 1, #parts, BLOCK do
  call('SADD', KEYS[2], unpack(parts, i, math.min(i + BLOCK - 1, #parts)))
end
local args, len = {}, 0
for i = 0, puts - 1 do
  args[len + 1], args[len + 2] = KEYS[first_put + i], ARGV[9 + i]
  len = len + 2
  if len == BLOCK then
    call('MSET', unpack(args, 1, len))
    len = 0
  end
end
if len > 0 then
  call('MSET', unpack(args, 1, len))
end
for i = first_delete, first_expiring - 1, BLOCK do
  call('DEL', unpack(KEYS, i, math.min(i + BLOCK, first_expiring) - 1))
end
at = 9 + puts
for i = first_expiring, first_index - 1 do
  call('SET', KEYS[i], ARGV[at], 'PX', ARGV[at + 1])
  at = at + 2
end
for i = first_index, first_map - 1 do
  local added = at + 2
  local removed = added + tonumber(ARGV[at])
  at = removed + tonumber(ARGV[at + 1])
  each('ZADD', KEYS[i], added, removed - 1, '0')
  each('ZREM', KEYS[i], removed, at - 1)
end
for i = first_map, first_map + maps - 1 do
  local millis, put = ARGV[at], at + 3
  local removed = put + 2 * tonumber(ARGV[at + 1])
  at = removed + tonumber(ARGV[at + 2])
  each('HSET', KEYS[i], put, removed - 1)
  each('HDEL', KEYS[i], removed, at - 1)
  if millis == '0' then
    call('PERSIST', KEYS[i])
  elseif millis ~= '' then
    call('PEXPIRE', KEYS[i], millis)
  end
end
if ARGV[2] == '' then
  call('DEL', KEYS[1])
else
  call('SET', KEYS[1], ARGV[2])
end
call('PUBLISH', ARGV[3], ARGV[2])
return 1
