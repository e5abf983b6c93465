"""What Redis does in one step: compare, write the profile, and keep the lists that go with it.

Several processes may deliver at once after a rebalance, so the comparison belongs to the write. Keys of owners and
severities are made in the scripts: a cluster would not allow that.

Every script begins with the run: if another was begun, or it is gone with everything else, the answer is the error
`GONE`. `again` writes what is held already once more, for lists that are made anew.
"""

from typing import Final

GONE: Final = "GONE"
LAYOUT: Final = "LAYOUT"
REBUILDING: Final = "REBUILDING"

# KEYS: layout, profile. ARGV: run, prefix of the lists, customer, again, sequence field, sequence, and what follows below.
_BEGIN: Final = """
if redis.call('HGET', KEYS[1], 'run') ~= ARGV[1] then
  return redis.error_reply('GONE what was written before is not there any more')
end
local profile, lists, customer = KEYS[2], ARGV[2], ARGV[3]
"""
_NEWER: Final = """
local held = tonumber(redis.call('HGET', profile, ARGV[5]) or 0)
if held > tonumber(ARGV[6]) or (held == tonumber(ARGV[6]) and ARGV[4] ~= '1') then
  return 0
end
redis.call('HSET', profile, ARGV[5], ARGV[6])
"""
# `first`: of the arguments that are names of removed fields, as many as `first - 1` says, and then names and values.
_FIELDS: Final = """
local function write(first)
  local written = first + tonumber(ARGV[first - 1])
  for i = first, written - 1 do
    redis.call('HDEL', profile, ARGV[i])
  end
  for i = written, #ARGV, 2 do
    redis.call('HSET', profile, ARGV[i], ARGV[i + 1])
  end
end
"""
_RANKS: Final = """
local function unrank()
  redis.call('ZREM', lists .. 'risk', customer)
  redis.call('ZREM', lists .. 'ranking', customer)
  local owner = redis.call('HGET', profile, 'owner')
  if owner then
    redis.call('ZREM', lists .. 'ranking:' .. owner, customer)
  end
end
"""
# `field` holds the record of an open alert.
_LISTS: Final = """
local function unlist(field, alert)
  local record, member = redis.call('HGET', profile, field), alert .. ' ' .. customer
  if not record then
    return 0
  end
  local alert = cjson.decode(record)
  redis.call('ZREM', lists .. 'alerts', member)
  redis.call('ZREM', lists .. 'alerts:severity:' .. alert.severity, member)
  if alert.owner then
    redis.call('ZREM', lists .. 'alerts:owner:' .. alert.owner, member)
  end
  return redis.call('HDEL', profile, field)
end
"""

STAGE: Final = f"""{_BEGIN}{_NEWER}{_FIELDS}
-- number of removed fields, these, names and values
write(8)
return 1
"""
RISK: Final = f"""{_BEGIN}{_NEWER}{_FIELDS}{_RANKS}
-- rank, probability or '', owner or '', number of removed fields, these, names and values
unrank()
redis.call('ZADD', lists .. 'ranking', ARGV[7], customer)
if ARGV[8] ~= '' then
  redis.call('ZADD', lists .. 'risk', ARGV[8], customer)
end
if ARGV[9] ~= '' then
  redis.call('ZADD', lists .. 'ranking:' .. ARGV[9], ARGV[7], customer)
end
write(11)
return 1
"""
ALERT: Final = f"""{_BEGIN}{_NEWER}{_LISTS}
-- alert, its field, '1' if it is open, due instant, severity, owner or '', record, counter, length of the stream
local alert, field, member = ARGV[7], ARGV[8], ARGV[7] .. ' ' .. customer
local grown = -unlist(field, alert)
if ARGV[9] == '1' then
  redis.call('ZADD', lists .. 'alerts', ARGV[10], member)
  redis.call('ZADD', lists .. 'alerts:severity:' .. ARGV[11], ARGV[10], member)
  if ARGV[12] ~= '' then
    redis.call('ZADD', lists .. 'alerts:owner:' .. ARGV[12], ARGV[10], member)
  end
  grown = grown + redis.call('HSET', profile, field, ARGV[13])
end
redis.call('HINCRBY', profile, ARGV[14], grown)
redis.call('XADD', lists .. 'latest', 'MAXLEN', ARGV[15], '*',
  'alert_id', alert, 'customer_id', customer, 'record', ARGV[13])
return 1
"""
# ARGV: run, prefix of the lists, customer, 'alert' or 'risk' or 'stage', counter, alert or '', its field or '', other fields.
REMOVE: Final = f"""{_BEGIN}{_RANKS}{_LISTS}
redis.call('HLEN', profile)  -- refuses what is no hash, and so not ours to delete
if ARGV[4] == 'risk' then
  unrank()
end
if ARGV[4] == 'alert' and unlist(ARGV[7], ARGV[6]) == 1 then
  redis.call('HINCRBY', profile, ARGV[5], -1)
end
for i = 8, #ARGV do
  redis.call('HDEL', profile, ARGV[i])
end
if redis.call('HLEN', profile) > 1 or redis.call('HGET', profile, ARGV[5]) ~= '0' then
  return 0
end
return redis.call('DEL', profile)
"""

# KEYS: layout, rebuilding. ARGV: version, a new run for who finds none, partitions.
OPEN: Final = """
local version = redis.call('HGET', KEYS[1], 'version')
if version and version ~= ARGV[1] then
  return redis.error_reply('LAYOUT ' .. version)
end
if redis.call('EXISTS', KEYS[2]) == 1 then
  return redis.error_reply('REBUILDING everything is being made anew')
end
if not version or redis.call('HDEL', KEYS[1], 'rebuild') == 1 then
  redis.call('HSET', KEYS[1], 'version', ARGV[1], 'run', ARGV[2])
end
local found = {redis.call('HGET', KEYS[1], 'run')}
for i = 3, #ARGV do
  redis.call('HSETNX', KEYS[1], 'position:' .. ARGV[i], 0)
  found[#found + 1] = redis.call('HGET', KEYS[1], 'position:' .. ARGV[i])
end
return found
"""
# KEYS: layout. ARGV: run, then partitions, each with the offset that we left there, and the new one.
ADVANCE: Final = """
if redis.call('HGET', KEYS[1], 'run') ~= ARGV[1] then
  return redis.error_reply('GONE what was written before is not there any more')
end
for i = 2, #ARGV, 3 do
  local held = redis.call('HGET', KEYS[1], 'position:' .. ARGV[i])
  if held ~= ARGV[i + 1] and held ~= ARGV[i + 2] then
    return redis.error_reply('GONE ' .. ARGV[i] .. ' is at ' .. (held or 'nothing') .. ', not at ' .. ARGV[i + 1])
  end
end
for i = 2, #ARGV, 3 do
  redis.call('HSET', KEYS[1], 'position:' .. ARGV[i], ARGV[i + 2])
end
return 1
"""
# KEYS: layout, rebuilding. ARGV: version, run, seconds that a sign of life is good for.
BEGIN_REBUILD: Final = """
if redis.call('SET', KEYS[2], ARGV[2], 'NX', 'EX', ARGV[3]) == false then
  return redis.error_reply('REBUILDING somebody else is at it')
end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'version', ARGV[1], 'run', ARGV[2], 'rebuild', ARGV[2])
return 1
"""
# KEYS: layout, rebuilding. ARGV: run, seconds that a sign of life is good for.
ALIVE: Final = """
if redis.call('GET', KEYS[2]) ~= ARGV[1] or redis.call('HGET', KEYS[1], 'run') ~= ARGV[1] then
  return redis.error_reply('GONE it took too long without a sign of life, and deliver goes on by itself')
end
redis.call('EXPIRE', KEYS[2], ARGV[2])
return 1
"""
# KEYS: rebuilding. ARGV: run.
GIVE_UP: Final = """
if redis.call('GET', KEYS[1]) == ARGV[1] then
  redis.call('DEL', KEYS[1])
end
return 1
"""
# KEYS: layout, rebuilding. ARGV: run, number of lists that go, these, number of new lists, these with their names to be, then
# partitions with their positions.
FINISH: Final = """
if redis.call('GET', KEYS[2]) ~= ARGV[1] or redis.call('HGET', KEYS[1], 'run') ~= ARGV[1] then
  return redis.error_reply('GONE it took too long without a sign of life, and deliver goes on by itself')
end
local at = 3
for i = 1, tonumber(ARGV[2]) do
  redis.call('UNLINK', ARGV[at])
  at = at + 1
end
local count = tonumber(ARGV[at])
at = at + 1
for i = 1, count do
  redis.call('RENAME', ARGV[at], ARGV[at + 1])
  at = at + 2
end
for i = at, #ARGV, 2 do
  redis.call('HSET', KEYS[1], 'position:' .. ARGV[i], ARGV[i + 1])
end
redis.call('HDEL', KEYS[1], 'rebuild')
redis.call('DEL', KEYS[2])
return 1
"""
# KEYS: a profile. The fields with numbers, each with its number.
SEQUENCES: Final = """
local found = {}
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  if string.sub(field, 1, 9) == 'sequence:' then
    found[#found + 1] = field
    found[#found + 1] = redis.call('HGET', KEYS[1], field)
  end
end
return found
"""
