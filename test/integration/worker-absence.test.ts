import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { WorkerAbsence } from '../../src/engine/presence/worker-absence.js'
import { createLogger } from '../../src/logger.js'
import type { TestProcess } from '../support/engine.js'
import { useProcess } from '../support/use-process.js'

/** Runs are the test's own. */
const NEVER_MS = 2 ** 30

describe('while no worker lives', () => {
  let process: TestProcess
  useProcess((opened) => (process = opened))
  const look = () => {
    const { database, wakeups } = process
    return new WorkerAbsence({ database, wakeups, logger: createLogger('error') }, NEVER_MS)
  }
  const createApp = (name: string) =>
    process.commands.apps.create({ name, repoUrl: 'https://git.invalid/x.git' })
  /** A worker that was seen so long ago; gives the time. */
  async function seen(secondsAgo: number): Promise<string> {
    const rows = await process.database.query<{ at: Date }[]>(
      `INSERT INTO worker (id, seen_at) VALUES ('w', now() - make_interval(secs => $1))
       ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at RETURNING seen_at AS at`,
      [secondsAgo],
    )
    return rows[0]?.at.toISOString() ?? ''
  }
  async function lines(): Promise<string[]> {
    const rows = await process.database.query<{ text: string }[]>('SELECT text FROM log_chunk ORDER BY at')
    return rows.map(({ text }) => text)
  }

  test('the log of what waits says so, and since when; once, whatever another process has seen', async () => {
    await createApp('waits')
    const since = await seen(60)
    const absence = look()
    for (let rounds = 0; rounds < 3; rounds++) await absence.runOnce()
    const [line = '', ...more] = await lines()
    assert.match(line, new RegExp(`^Waiting: no worker has been seen since ${since}\\. Start one`))
    assert.deepEqual(more, [])
    assert.equal(absence.message, `no worker has been seen since ${since}`)
    await seen(45) // as another process would remember it
    await look().runOnce()
    assert.equal((await lines()).length, 1)
    await createApp('later')
    await absence.runOnce()
    assert.equal((await lines()).length, 2)
  })

  test('nothing is said while one lives, or has been away for a moment only', async () => {
    await createApp('soon')
    await seen(5)
    const absence = look()
    await absence.runOnce()
    assert.equal(absence.message, null)
    // It has ended in good order, and its row has gone with it: the process that has just looked knows of it.
    await process.database.query('DELETE FROM worker')
    await absence.runOnce()
    assert.equal(absence.message, null)
    assert.deepEqual(await lines(), [])
  })

  test('it is said again after one has come and gone', async () => {
    await createApp('again')
    await seen(60)
    const absence = look()
    await absence.runOnce()
    // The worker that came has found its Docker engine away.
    await process.database.query(`UPDATE deployment SET waiting_for = 'the Docker engine does not answer'`)
    await seen(0)
    await absence.runOnce()
    assert.equal(absence.message, null)
    await seen(20)
    await process.database.query(`UPDATE worker SET seen_at = now() - interval '20 seconds'`)
    await look().runOnce()
    assert.equal((await lines()).length, 2)
  })
})
