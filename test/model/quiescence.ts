import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { containerName } from '../../src/engine/addresses.js'
import { RESERVED } from '../../src/engine/traffic/reservation.js'
import { letTimePass } from './carry-out.js'
import { KINDS, type World } from './world.js'

/** Time and rounds for all to come to rest after the last fault: where the machine is busy a round does less. */
const MOST_MS = 30_000
const MOST_ROUNDS = 60
const RESERVED_MS = 250

interface Row {
  readonly id: string
  readonly app: string
  readonly status: string
  readonly wanted: boolean
  readonly stopped: boolean
  readonly kept: boolean
  readonly begins: boolean
}

const ROWS = `
  SELECT d.id, a.name AS app, d.status, s.stopped, s.current_deployment_id = d.id AS wanted,
         s.current_deployment_id = d.id OR d.live_at IS NOT NULL AS kept,
         s.current_deployment_id = d.id OR NOT EXISTS (SELECT 1 FROM deployment newer
           WHERE newer.stage_id = d.stage_id AND newer.generation > d.generation AND newer.build_key IS NOT NULL) AS begins
    FROM deployment d JOIN stage s ON s.id = d.stage_id JOIN app a ON a.id = d.app_id ORDER BY d.id`

/**
 * I7: faults stop, gates open, whoever is stalled wakes and whoever died is started again. Then rounds of all that a
 * process does by its timers, until nothing changes any more.
 */
export async function comeToRest(world: World): Promise<void> {
  await heal(world)
  const until = performance.now() + MOST_MS
  let before = ''
  for (let round = 0; ; round++) {
    // What goes on while a round begins can hold what the round needs (one keeper reconciles at a time).
    const wasBusy = isAtWork(world) || (await isReserved(world))
    await goRound(world, round)
    await world.check()
    const state = await stateOf(world)
    const isBusy = wasBusy || isAtWork(world) || /PENDING|CLONING|BUILDING|STARTING|ROUTING/.test(state)
    const waits = await isReserved(world)
    if (state === before && !isBusy && !waits) break
    assert.ok(
      performance.now() < until || round < MOST_ROUNDS,
      `I7: it does not come to rest: ${state} ${[...world.background.values()].join(', ')}`,
    )
    if (state === before) await sleep(waits ? RESERVED_MS : 25)
    before = state
  }
  for (const process of world.processes) if (process.id.startsWith('keeper')) await process.clean()
  await checkRest(world)
}

/** Commands of before go on. */
function isAtWork({ background }: World): boolean {
  return [...background.values()].some((title) => title !== 'crash')
}

async function heal(world: World): Promise<void> {
  const { docker, git, patience } = world.surroundings
  docker.heal()
  await docker.up()
  git.heal()
  patience.isShort = false
  world.gates.clear()
  for (const process of world.processes) process.resume()
  await world.quiet()
  for (const index of KINDS.keys()) await world.restart(index)
}

async function goRound(world: World, round: number): Promise<void> {
  await letTimePass('waits end', world)
  await letTimePass('watches end', world)
  for (const index of KINDS.keys()) await world.restart(index)
  const living = world.processes.filter(({ state }) => state === 'up')
  // What nobody renews runs out: its process died, or has let go of it.
  await letTimePass('leases end', world)
  for (const { leases } of living) await leases.renew()
  // One keeper after the other: each has to be able to do it alone.
  const keepers = living.filter(({ id }) => id.startsWith('keeper'))
  const keeper = keepers[round % keepers.length]
  await keeper?.recover()
  await keeper?.watcher.runOnce().catch(() => undefined)
  await keeper?.watcher.settle()
  await keeper?.reconciler.reconcile().catch(() => undefined)
  await keeper?.reconciler.settle()
  for (const { engine } of living) engine.lookForWork()
  await world.quiet()
}

async function stateOf(world: World): Promise<string> {
  const rows = await world.database.query<Row[]>(ROWS)
  const apps = await world.database.query<object[]>('SELECT name, deleted_at FROM app ORDER BY name')
  const containers = [...world.surroundings.docker.containers.values()].map(
    ({ name, status }) => `${name} ${status}`,
  )
  return JSON.stringify([rows, apps, containers.sort()])
}

/** A stop that failed keeps others from the containers for a moment of real time. */
async function isReserved({ database }: World): Promise<boolean> {
  const rows = await database.query<object[]>(
    `SELECT 1 FROM deployment d WHERE status = 'RETIRED' AND ${RESERVED}`,
  )
  return rows.length > 0
}

/** Nothing is left over, and what is to serve serves. */
async function checkRest(world: World): Promise<void> {
  const { docker, git, instanceId } = world.surroundings
  await world.check()
  const rows = await world.database.query<Row[]>(ROWS)
  // A first version that failed has left nothing that serves.
  const wanted = rows.filter((row) => row.wanted && !row.stopped && row.status !== 'FAILED')
  for (const row of wanted) assert.equal(row.status, 'RUNNING', `I5: ${JSON.stringify(row)} is to serve`)
  const ours = [...docker.containers.values()].filter(
    ({ labels }) => labels['longshore.instance'] === instanceId,
  )
  assert.deepEqual(
    ours.map(({ name, status }) => `${name} ${status}`).sort(),
    wanted.map(({ app, id }) => `${containerName(app, id)} running`).sort(),
    'I7: the containers are not those that serve',
  )
  assert.ok(
    !wanted.some(({ id }) => world.invariants.disturbed.has(id)),
    'I5: what was touched does not serve again',
  )
  const references = [...git.references.values()].flatMap((ids) => [...ids.keys()])
  const needless = references.filter((id) => !rows.some((row) => row.id === id && row.begins))
  assert.deepEqual(needless, [], 'I7: commits are still kept that no fetch begins with')
  const images = [...docker.images.values()].filter(
    ({ labels }) => labels['longshore.instance'] === instanceId,
  )
  const tagged = new Set(
    images.flatMap(({ tags, id }) => (tags.length > 0 ? tags : [`untagged:${id}`])).map(idOf),
  )
  const keeps = new Set(rows.filter(({ kept }) => kept).map(({ id }) => id))
  assert.deepEqual(
    [...tagged].filter((id) => !keeps.has(id)),
    [],
    'I7: images that nobody needs',
  )
  for (const { id } of wanted) assert.ok(tagged.has(id), `I7: the image of ${id} is gone`)
  const deleted = await world.database.query<object[]>('SELECT id FROM app WHERE deleted_at IS NOT NULL')
  assert.deepEqual(deleted, [], 'I7: an app is not deleted wholly')
}

function idOf(tag: string): string {
  return tag.slice(tag.lastIndexOf(':') + 1)
}
