import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Scene } from './scene.js'

/** As `until` has it: a bound for what never comes. */
const PATIENCE_MS = 60_000
const UNSETTLED = ['PENDING', 'CLONING', 'BUILDING', 'STARTING', 'ROUTING']

export interface LawRow {
  id: string
  app: string
  status: string
  live: boolean
  current: boolean
  addresses: string[] | null
  events: string[]
  last_seq: number
  end_status: string | null
  bytes: number
  seqs: number[]
  stored_bytes: number
}

export const LAW_ROWS = `
  SELECT d.id, a.name AS app, coalesce(d.shown_as, d.status) AS status, d.live_at IS NOT NULL AS live, s.current_deployment_id = d.id AS current,
         d.addresses, l.last_seq, l.end_status, l.bytes::int,
         (SELECT array_agg(e.to_status ORDER BY e.id) FROM deployment_event e WHERE e.deployment_id = d.id) AS events,
         (SELECT coalesce(array_agg(c.seq ORDER BY c.seq), '{}') FROM log_chunk c WHERE c.deployment_id = d.id) AS seqs,
         (SELECT coalesce(sum(octet_length(c.text)), 0)::int FROM log_chunk c WHERE c.deployment_id = d.id)
           AS stored_bytes
    FROM deployment d JOIN app a ON a.id = d.app_id JOIN stage s ON s.id = d.stage_id
    JOIN log_stream l ON l.deployment_id = d.id ORDER BY d.generation`

/**
 * Waits until nothing is under way and nothing is left over; fails with the law that is broken still after a minute. What
 * is never allowed, not even for a moment, fails at once: two ends of a deployment, a gap in a log.
 */
export async function lawsHold(scene: Scene): Promise<void> {
  const until = performance.now() + PATIENCE_MS
  for (;;) {
    const rows = await scene.rows<LawRow>(LAW_ROWS)
    for (const row of rows) checkHistory(row)
    try {
      for (const row of rows) assert.ok(!UNSETTLED.includes(row.status), `${row.id} is ${row.status}`)
      checkContainers(scene, rows)
      checkImages(scene, rows)
      checkCommits(scene, rows)
      return
    } catch (error) {
      if (performance.now() > until) throw new Error(`${(error as Error).message}\n${scene.output()}`)
      await sleep(50)
    }
  }
}

/** What holds of a deployment at any time: its events, and its log without a gap. */
export function checkHistory(row: LawRow): void {
  const { id, status, events, end_status: end } = row
  assert.equal(events.at(-1), status, `the events of ${id}: ${events.join()}`)
  const ends = events.filter((event) => !UNSETTLED.includes(event)).join()
  assert.match(
    ends,
    /^((RUNNING(,RETIRED,RUNNING)*(,RETIRED|,ROLLED_BACK|,FAILED)?)|FAILED|CANCELLED|SUPERSEDED|)$/,
    `${id} ended ${ends}`,
  )
  const expected = Array.from({ length: row.last_seq }, (_, index) => index + 1)
  assert.deepEqual(row.seqs, expected, `the log of ${id} has gaps`)
  assert.equal(row.stored_bytes, row.bytes, `the log of ${id} counts its bytes`)
  const first = ends.split(',')[0]
  // It lost its traffic before it was announced: its log has no other end.
  const ended = end === 'ROLLED_BACK' ? status : first
  assert.equal(end, UNSETTLED.includes(status) ? null : ended, `the end of the log of ${id}`)
}

/** One container for each deployment that serves, where the database says; no other of this installation. */
function checkContainers(scene: Scene, rows: readonly LawRow[]): void {
  const serving = rows.filter(({ status }) => status === 'RUNNING')
  assert.ok(serving.every(({ current }) => current))
  const ours = [...scene.docker.containers.values()].filter(({ labels }) => labels['longshore.instance'])
  assert.deepEqual(
    ours.map(({ name, status, endpoints }) => `${name} ${status} ${endpoints[0]?.address}`).sort(),
    serving.map(({ id, app, addresses }) => `${app}-${id} running ${addresses?.[0]}`).sort(),
  )
}

/** Images only of what has served, each under one name. */
function checkImages(scene: Scene, rows: readonly LawRow[]): void {
  const live = new Set(rows.filter((row) => row.live).map((row) => row.id))
  const ours = [...scene.docker.images.values()].filter(({ labels }) => labels['longshore.instance'])
  const left = ours.flatMap(({ id, tags }) => (tags.length === 0 ? [id] : tags))
  assert.deepEqual(
    left.filter((tag) => !live.has(tag.slice(tag.lastIndexOf(':') + 1))),
    [],
    'images are left of what never served',
  )
}

/** Commits only of deployments that are there; which of them are needed is looked at every ten minutes. */
function checkCommits(scene: Scene, rows: readonly LawRow[]): void {
  const ids = new Set(rows.map(({ id }) => `refs/longshore/${id}`))
  assert.deepEqual(
    refsOf(scene).filter((ref) => !ids.has(ref)),
    [],
    'commits are kept of deployments that are gone',
  )
}

/** Names of the commits that are kept in the mirrors. */
export function refsOf({ installation }: Pick<Scene, 'installation'>): string[] {
  const root = join(installation.dataDir, 'mirrors')
  const names = existsSync(root) ? readdirSync(root).filter((name) => name.endsWith('.git')) : []
  return names.flatMap((name) => {
    const list = ['-C', join(root, name), 'for-each-ref', '--format=%(refname)', 'refs/longshore']
    return execFileSync('git', list, { encoding: 'utf8' }).split('\n').filter(Boolean)
  })
}
