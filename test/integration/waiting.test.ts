import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { logWaiting } from '../../src/engine/queue/claim.js'
import type { TestProcess } from '../support/engine.js'
import { useProcess } from '../support/use-process.js'

describe('what deployments wait for', () => {
  let process: TestProcess
  useProcess((opened) => (process = opened))
  const createApp = (name: string) =>
    process.commands.apps.create({ name, repoUrl: 'https://git.invalid/x.git' })
  const say = () => logWaiting(process, 'no engine')

  async function told(): Promise<string[]> {
    const sql = `SELECT a.name FROM deployment d JOIN app a ON a.id = d.app_id WHERE d.waiting_for IS NOT NULL ORDER BY 1`
    return (await process.database.query<{ name: string }[]>(sql)).map(({ name }) => name)
  }

  test('is said once, however often it is asked to be', async () => {
    await createApp('waiting')
    for (let count = 0; count < 3; count++) await say()
    const rows = await process.database.query<unknown[]>('SELECT text FROM log_chunk')
    assert.deepEqual(rows, [{ text: 'Waiting: no engine\n' }])
  })

  test('is not said of one that somebody has locked, and nobody waits for it: it may wait for us', async () => {
    await createApp('locked')
    await createApp('free')
    await process.database.transaction(async (manager) => {
      const lock = `SELECT d.id FROM deployment d JOIN app a ON a.id = d.app_id AND a.name = 'locked' FOR NO KEY UPDATE OF d`
      await manager.query(lock)
      const said = say().then(() => 'said')
      assert.equal(await Promise.race([said, sleep(60_000, 'it waits', { ref: false })]), 'said')
      assert.deepEqual(await told(), ['free'])
    })
    await say()
    assert.deepEqual(await told(), ['free', 'locked'])
  })
})
