import assert from 'node:assert/strict'
import { test } from 'node:test'
import { refsOf } from '../support/laws.js'
import { webApp } from '../support/repository.js'
import { Scene } from '../support/scene.js'
import { until } from '../support/server.js'

/** Nothing listens there. */
const AWAY = 'https://127.0.0.1:1/x.git'

test('a repository behind a network that is away: tried again for as long as is set, and then git’s words are told', async () => {
  await using scene = await Scene.open()
  await using _worker = await scene.workerHere({ FETCH_RETRY_SECONDS: '2' })
  const { id: app } = await scene.own.commands.apps.create({ name: 'away', repoUrl: AWAY, deploy: false })
  const { id } = await scene.own.commands.deployments.deploy(app, {})
  await scene.reaches(id, 'FAILED')
  const failed = await scene.deployment(id)
  assert.deepEqual([failed.attempt, failed.error_code, failed.error_exit_code], [1, 'CLONE_FAILED', 128])
  assert.match(
    failed.error_message ?? '',
    /^git could not fetch .*Failed to connect.*\(tried 2 times within 2 s, FETCH_RETRY_SECONDS\)$/,
  )
  assert.match(String(failed.error_last_lines), /Failed to connect to 127\.0\.0\.1 port 1/)
  assert.match(await scene.log(id), /Attempt 1 failed: git could not fetch .*\. Trying again in 1 s/)
})

test('a cancelled deployment does not wait for the next attempt', async () => {
  await using scene = await Scene.open()
  await using _worker = await scene.workerHere({ FETCH_RETRY_SECONDS: '86400' })
  const { id: app } = await scene.own.commands.apps.create({ name: 'away', repoUrl: AWAY, deploy: false })
  const { id } = await scene.own.commands.deployments.deploy(app, {})
  await until(async () => (await scene.log(id)).includes('Attempt 3 failed'))
  await scene.own.commands.deployments.cancel(id)
  await scene.reaches(id, 'CANCELLED')
})

test('the commits that the next fetch begins with stay: what serves, the newest one, and the newest that was built', async () => {
  await using scene = await Scene.open()
  const ids: string[] = []
  /** Each worker looks at its start, and every ten minutes. */
  const keptBy = async (expected: readonly (string | undefined)[]) => {
    const refs = expected.map((id) => `refs/longshore/${id}`).sort()
    await using _worker = await scene.workerHere()
    await until(() => refsOf(scene).join() === refs.join())
  }
  const app = await scene.app('kept')
  {
    await using _worker = await scene.workerHere()
    for (const [text, steps] of [
      ['one', []],
      ['two', []],
      ['three', ['exit 3']],
    ] as const) {
      scene.repository.commit(webApp(text, steps))
      ids.push(await scene.deploy(app))
      await scene.reaches(ids.at(-1) ?? '', steps.length > 0 ? 'FAILED' : 'RUNNING')
    }
    assert.equal(refsOf(scene).length, 3)
  }
  await keptBy([ids[1], ids[2]])

  {
    // Runs an image again, of a commit that it has not fetched.
    await using _worker = await scene.workerHere()
    await scene.own.commands.stages.restart(app.stageId)
    await until(async () => (await scene.rows(RESTARTED, [app.stageId])).length > 0)
  }
  await keptBy([ids[1]])
})

const RESTARTED = `SELECT FROM deployment d JOIN stage s ON s.current_deployment_id = d.id
  WHERE s.id = $1 AND d.status = 'RUNNING' AND d.build_key IS NULL`
