import assert from 'node:assert/strict'
import { isDeepStrictEqual } from 'node:util'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { containerName } from '../../src/engine/addresses.js'
import { checkDeployment, DEPLOYMENTS, type EventRow } from '../model/invariants.js'
import { checkHistory, LAW_ROWS, type LawRow, refsOf } from '../support/laws.js'
import { type Installation, until } from '../support/server.js'
import { onDatabase } from '../support/tables.js'
import type { Apps } from './apps.js'
import type { Viewers } from './viewers.js'

interface StageRow {
  readonly app: string
  readonly current: string | null
  readonly status: string | null
  readonly stopped: boolean
  readonly replicas: number
  readonly commitSha: string | null
}

const STAGES = `
  SELECT a.name AS app, s.current_deployment_id AS current, d.status, s.stopped, s.replicas, d.commit_sha AS "commitSha"
    FROM stage s JOIN app a ON a.id = s.app_id LEFT JOIN deployment d ON d.id = s.current_deployment_id`
const UNSETTLED = `
  SELECT id FROM deployment WHERE coalesce(shown_as, status) IN ('PENDING', 'CLONING', 'BUILDING', 'STARTING', 'ROUTING')
      OR shown_as IS NOT NULL OR watch_until IS NOT NULL
  UNION ALL SELECT id FROM app WHERE deleted_at IS NOT NULL`

const MOST_SAID = 4_000

/** What must hold at any moment: gives what does not. */
export async function checkHistories(url: string): Promise<string[]> {
  const histories = (await onDatabase(url, LAW_ROWS)) as unknown as LawRow[]
  const events = (await onDatabase(url, DEPLOYMENTS)) as unknown as EventRow[]
  return [
    ...histories.flatMap((row) => tryOut(() => checkHistory(row))),
    ...events.flatMap((row) => tryOut(() => checkDeployment(row))),
  ]
}

/** Waits until each deployment has ended, is announced and watched no more, and each deleted app is gone. */
export async function settled(url: string): Promise<void> {
  let left: unknown[] = []
  // Twice the time that a test waits: all of it was interrupted.
  for (let turn = 1; ; turn++) {
    try {
      await until(async () => (left = await onDatabase(url, UNSETTLED)).length === 0, 500)
      return
    } catch (error) {
      if (turn === 2) throw new Error(`not settled: ${JSON.stringify(left)}`, { cause: error })
    }
  }
}

/** When all is settled: what serves is there and answers, and nothing else is left. Throws with what does not come true. */
export async function checkRest(installation: Installation, apps: Apps): Promise<void> {
  const { url } = installation.database
  const stages = (await onDatabase(url, STAGES)) as unknown as StageRow[]
  const serving = stages.filter(({ status, stopped }) => status === 'RUNNING' && !stopped)
  await eventually(() => checkContainers(installation, serving))
  await eventually(() => checkLeftovers(installation, url))
  for (const { app, commitSha, current } of serving) {
    const page = apps.versions.get(commitSha ?? '')?.page
    // One that ends every 20 s is started again by the engine.
    await eventually(async () => {
      const { status, body } = await installation.fetch(`${app}.localhost`)
      same([status, body], [200, page], `${app} does not answer with ${current}`)
    })
  }
  for (const { app } of stages.filter((stage) => !serving.includes(stage))) {
    const { status } = await installation.fetch(`${app}.localhost`)
    assert.ok(status === 404 || status === 503, `${app} answers ${status} and is not to serve`)
  }
}

/** When all apps were deleted. */
export async function checkNothingLeft(installation: Installation): Promise<void> {
  await eventually(async () => {
    const { url } = installation.database
    const rows = await onDatabase(url, 'SELECT id FROM app UNION ALL SELECT id FROM deployment')
    const left = [
      ...rows,
      ...(await installation.containers()),
      ...(await installation.images()),
      ...mirrors(installation),
    ]
    same(left, [], 'left of apps that were deleted')
  })
}

/** What viewers have seen of logs, whichever processes they have seen it from. */
export async function checkViewers(url: string, viewers: Viewers): Promise<string[]> {
  const sql = `SELECT l.deployment_id AS id, l.last_seq, l.end_status,
                      (SELECT string_agg(text, '' ORDER BY seq) FROM log_chunk c WHERE c.deployment_id = l.deployment_id) AS text
                 FROM log_stream l`
  const rows = await onDatabase(url, sql)
  return rows.flatMap((row) => {
    const seen = viewers.logs().get(String(row.id))
    if (!seen) return []
    return tryOut(() => {
      const numbers = seen.map(({ seq }) => seq).slice(0, Number(row.last_seq))
      same(
        numbers,
        Array.from({ length: Number(row.last_seq) }, (_, index) => index + 1),
        `seen of ${row.id as string}`,
      )
      assert.equal(
        seen.map(({ text }) => text).join(''),
        row.text ?? '',
        `the text seen of ${row.id as string}`,
      )
      const ends = seen.flatMap(({ end }) => (end ? [end.status] : []))
      same(ends, [row.end_status], `the end seen of ${row.id as string}`)
    })
  })
}

async function checkContainers(installation: Installation, serving: readonly StageRow[]): Promise<void> {
  const expected = serving.map(({ app, current }) => containerName(app, current ?? '')).sort()
  same((await installation.containers()).sort(), expected, 'the containers are not those that serve')
}

/** Images of what has served, mirrors of repositories of apps, commits of deployments. */
async function checkLeftovers(installation: Installation, url: string): Promise<void> {
  const live = await onDatabase(url, 'SELECT id FROM deployment WHERE live_at IS NOT NULL')
  const ids = new Set(live.map(({ id }) => id))
  const images = (await installation.images()).filter((tag) => !ids.has(tag.slice(tag.lastIndexOf(':') + 1)))
  same(images, [], 'images of what never served')
  const known = new Set((await onDatabase(url, 'SELECT id FROM deployment')).map(({ id }) => id))
  const kept = refsOf({ installation }).map((ref) => ref.slice(ref.lastIndexOf('/') + 1))
  same(
    kept.filter((id) => !known.has(id)),
    [],
    'commits of deployments that are gone',
  )
  const apps = await onDatabase(url, 'SELECT id FROM app')
  assert.ok(mirrors(installation).length <= apps.length, 'mirrors of apps that were deleted')
}

function mirrors({ dataDir }: Installation): string[] {
  return readdirSync(join(dataDir, 'mirrors')).filter((name) => name.endsWith('.git'))
}

async function eventually(check: () => Promise<void>): Promise<void> {
  let last: unknown
  const isTrue = async () => {
    try {
      await check()
      return true
    } catch (error) {
      last = error
      return false
    }
  }
  await until(isTrue, 500).catch(() => Promise.reject(last instanceof Error ? last : new Error(String(last))))
}

/** As assert.deepEqual with a message, but that the message is not all that it says. */
function same(found: unknown, expected: unknown, what: string): void {
  const said = () => `${what}: ${JSON.stringify(found)} and not ${JSON.stringify(expected)}`
  if (!isDeepStrictEqual(found, expected)) throw new Error(said().slice(0, MOST_SAID))
}

function tryOut(check: () => void): string[] {
  try {
    check()
    return []
  } catch (error) {
    return [(error as Error).message]
  }
}
