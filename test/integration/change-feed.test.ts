import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { type Change, followChanges, dropOldChanges } from '../../src/engine/change-feed.js'
import type { CommandError } from '../../src/engine/command-error.js'
import { ANY } from '../../src/engine/wakeups/wakeups.js'
import { claimNext } from '../../src/engine/queue/claim.js'
import { ApiServer } from '../support/api-server.js'
import { wsClient } from '../support/client.js'
import { openProcesses, type TestProcess } from '../support/engine.js'

const REPO = 'https://git.invalid/x.git'

describe('the feed of changes', () => {
  let opened: Awaited<ReturnType<typeof openProcesses>>
  let process: TestProcess
  let other: TestProcess
  before(async () => {
    opened = await openProcesses(2)
    ;[process, other] = opened.processes as [TestProcess, TestProcess]
  })
  after(() => opened[Symbol.asyncDispose]())

  const follow = (after: string | null = null, appId: string | null = null, from = process) =>
    followChanges(from.database, from.wakeups, { after, appId })
  type Feed = Awaited<ReturnType<typeof follow>>

  async function next(feed: Feed): Promise<Change> {
    const { value } = (await feed.next()) as { value?: Change }
    assert.ok(value, 'the feed has ended')
    return value
  }
  /** Until the last change of what is made to mark the place. */
  async function until(feed: Feed, id: string): Promise<Change[]> {
    const seen: Change[] = []
    for (;;) {
      const change = await next(feed)
      if (change.id === id) return seen
      seen.push(change)
    }
  }
  const shown = ({ event, typename, node }: Change) =>
    `${event} ${typename}${node && 'status' in node ? ` ${node.status}` : ''}`
  const create = (name: string, deploy = false) =>
    process.commands.apps.create({ name, repoUrl: REPO, deploy })

  test('begins with RESET and has each change of apps, stages and deployments once, in order', async () => {
    const feed = await follow()
    const reset = await next(feed)
    assert.deepEqual([reset.event, reset.id, reset.node], ['RESET', null, null])
    const app = await create('shop', true)
    await process.commands.apps.update(app.id, { branch: 'next' })
    const staging = await process.commands.stages.create(app.id, 'staging', null)
    await process.commands.variables.set(staging.id, [{ key: 'A', value: '1' }])
    await process.commands.domains.add(staging.id, 'www.example.com')
    await process.commands.stageSettings.update(staging.id, { replicas: 2 })
    await process.commands.stageSettings.update(staging.id, { replicas: 2 }) // changes nothing
    const options = { workerId: 'worker', leaseMs: 60_000, totalConcurrency: null }
    const claimed = await claimNext(process.database, process.wakeups, options)
    const lease = `UPDATE deployment SET lease_until = now() + interval '1 hour' WHERE id = $1`
    await process.database.query(lease, [claimed?.id])
    await process.commands.stages.delete(staging.id)
    const mark = await create('mark-1')
    const seen = await until(feed, mark.id)
    // The nodes are as they are when they are sent.
    assert.deepEqual(seen.map(shown), [
      ...['CREATED App', 'CREATED Stage', 'CREATED Deployment CLONING', 'UPDATED App', 'CREATED Stage'],
      ...['UPDATED Stage', 'UPDATED Stage', 'UPDATED Stage'],
      ...['UPDATED Deployment CLONING', 'UPDATED Stage', 'DELETED Stage'],
    ])
    assert.equal(seen[0]?.node?.id, app.id)
    assert.equal(seen[4]?.node, null)
    await feed.return()
  })

  test('goes on after a cursor, in any process, without gap or repeat', async () => {
    const feed = await follow()
    let { cursor } = await next(feed)
    await feed.return()
    const names: string[] = []
    for (let count = 0; count < 12; count++) names.push((await create(`resumed-${count}`)).id)
    const seen: (string | null)[] = []
    for (let turn = 0; seen.length < 24; turn++) {
      const resumed = await follow(cursor, null, turn % 2 === 0 ? other : process)
      for (let taken = 0; taken <= randomInt(5) && seen.length < 24; taken++) {
        const change = await next(resumed)
        cursor = change.cursor
        seen.push(change.typename === 'App' ? change.id : null)
      }
      await resumed.return()
    }
    assert.deepEqual(
      seen.filter((id) => id !== null),
      names,
    )
  })

  test('misses nothing that is committed late, and shows nothing before it is sure of its place', async () => {
    const feed = await follow()
    await next(feed)
    // Begun first, committed last: by its number alone it would come before what has been read.
    let commit: () => void = () => undefined
    const late = process.database.transaction(async (manager) => {
      await manager.query(
        `INSERT INTO app (id, name, repo_url, dockerfile_path, context_path) VALUES ('late', 'late', $1, '', '')`,
        [REPO],
      )
      await new Promise<void>((resolve) => (commit = resolve))
    })
    const early = await other.commands.apps.create({ name: 'early', repoUrl: REPO, deploy: false })
    const first = next(feed)
    commit()
    await late
    const ids = [(await first).id, ...(await until(feed, early.id)).map(({ id }) => id)]
    assert.ok(ids.includes('late'), ids.join())
    await feed.return()
  })

  test('has nothing of before it began, and all that was under way then, where it goes on as well', async () => {
    const hold = process.database.createQueryRunner()
    await hold.startTransaction()
    await hold.query(
      `INSERT INTO app (id, name, repo_url, dockerfile_path, context_path) VALUES ('held', 'held', $1, '', '')`,
      [REPO],
    )
    await create('before-it-began')
    const feed = await follow()
    const { cursor, event } = await next(feed)
    assert.equal(event, 'RESET')
    const after = await create('after-it-began')
    await hold.commitTransaction()
    await hold.release()
    const goesOn = await follow(cursor)
    const apps = async (from: Feed) => {
      const seen = (await until(from, after.id)).filter(({ typename }) => typename === 'App')
      return seen.map(({ id }) => id)
    }
    assert.deepEqual([await apps(feed), await apps(goesOn)], [['held'], ['held']])
    await feed.return()
    await goesOn.return()
  })

  test('has every change of many that are made at once, whatever is lost of wake-ups', async () => {
    const feed = await follow(null, null, other)
    await next(feed)
    const apps = await Promise.all(
      Array.from({ length: 40 }, (_, index) =>
        (index % 2 === 0 ? process : other).commands.apps.create({ name: `many-${index}`, repoUrl: REPO }),
      ),
    )
    const mark = await create('mark-2')
    const seen = (await until(feed, mark.id)).filter(({ event }) => event === 'CREATED')
    const of = (typename: string) => seen.filter((change) => change.typename === typename)
    assert.deepEqual(new Set(of('App').map(({ id }) => id)), new Set(apps.map(({ id }) => id)))
    assert.deepEqual([of('App').length, of('Stage').length, of('Deployment').length], [40, 40, 40])
    await feed.return()
  })

  test('of one app has nothing of others', async () => {
    const mine = await create('mine')
    const feed = await follow(null, mine.id)
    await next(feed)
    await create('others')
    await process.commands.apps.update(mine.id, { branch: 'x' })
    const change = await next(feed)
    assert.deepEqual([change.event, change.id], ['UPDATED', mine.id])
    await process.database.query('UPDATE app SET deleted_at = now() WHERE id = $1', [mine.id])
    process.wakeups.trafficMoved(ANY)
    const gone = await next(feed)
    assert.deepEqual([gone.event, gone.typename, gone.node], ['DELETED', 'App', null])
    await feed.return()
  })

  test('resets where a cursor is too old, or ahead of a database that was restored; refuses what is none', async () => {
    const cursorAt = (xid: string, at: number) =>
      Buffer.from(`changes:${xid}:1:${at}:0`).toString('base64url')
    for (const cursor of [
      cursorAt('3', Date.now() - 25 * 3_600_000),
      cursorAt('9000000000000000000', Date.now()),
    ]) {
      const feed = await follow(cursor)
      assert.equal((await next(feed)).event, 'RESET')
      await feed.return()
    }
    for (const cursor of ['', 'nonsense', Buffer.from('apps:x').toString('base64url')]) {
      await assert.rejects(follow(cursor), (error: CommandError) => error.field === 'after')
    }
  })

  test('keeps what is of today and yesterday, and drops the rest as a whole', async () => {
    const slotOf = (days: number) =>
      `(((extract(epoch FROM now())::bigint / 86400 - ${days}) % 3 + 3) % 3)::smallint`
    for (const days of [0, 1, 2]) {
      await process.database.query(
        `INSERT INTO change (slot, app_id, event, typename, node_id, at)
         VALUES (${slotOf(days)}, 'kept', 'UPDATED', 'App', $1, now() - make_interval(days => $2))`,
        [`day-${days}`, days],
      )
    }
    const drop = () => process.database.transaction((manager) => dropOldChanges(manager))
    // Written after midnight, while the clean-up of the day before waited for its lock.
    const late = `INSERT INTO change (slot, app_id, event, typename, node_id) VALUES (${slotOf(2)}, 'fresh', 'UPDATED', 'App', 'fresh')`
    await process.database.query(late)
    await drop()
    const kept = await process.database.query<unknown[]>(
      `SELECT 1 FROM change WHERE app_id IN ('kept', 'fresh')`,
    )
    assert.equal(kept.length, 4)
    await process.database.query(`DELETE FROM change WHERE app_id = 'fresh'`)
    await drop()
    const rows = await process.database.query<{ id: string }[]>(
      `SELECT node_id AS id FROM change WHERE app_id = 'kept' ORDER BY 1`,
    )
    assert.deepEqual(
      rows.map(({ id }) => id),
      ['day-0', 'day-1'],
    )
  })

  test('goes over GraphQL with a selection for each type', async () => {
    await using api = await ApiServer.open(process)
    const client = wsClient(api.port)
    const query = `subscription ($after: String, $app: ID) { changes(after: $after, appId: $app) {
      event id typename cursor node { __typename ... on App { name branch } ... on Stage { app { name } } } } }`
    const app = await create('by-graphql')
    const changes = client.iterate<{ changes: Change }>({ query, variables: { app: app.id } })
    const take = async () =>
      ((await changes.next()) as { value: { data: { changes: Change } } }).value.data.changes
    assert.equal((await take()).event, 'RESET')
    await process.commands.apps.update(app.id, { branch: 'next' })
    const { node, cursor } = await take()
    assert.deepEqual({ ...node }, { __typename: 'App', name: 'by-graphql', branch: 'next' })
    await process.commands.stages.create(app.id, 'preview', null)
    assert.deepEqual({ ...(await take()).node }, { __typename: 'Stage', app: { name: 'by-graphql' } })
    await changes.return?.()
    const missed = client.iterate<{ changes: Change }>({ query, variables: { after: cursor, app: app.id } })
    const { value } = (await missed.next()) as { value: { data: { changes: Change } } }
    assert.equal(value.data.changes.event, 'CREATED')
    await missed.return?.()
    await client.dispose()
  })

  test('leaves nothing behind where it is given up while it waits', async () => {
    const feed = await follow()
    await next(feed)
    const waiting = feed.next()
    await feed.return()
    assert.equal((await waiting).done, true)
  })
})
