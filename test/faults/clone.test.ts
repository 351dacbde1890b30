import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Scene } from '../support/scene.js'
import { until } from '../support/server.js'

test('a repository behind a network that is away: tried three times, and then git’s words are told', async () => {
  await using scene = await Scene.open()
  await using _worker = await scene.workerHere()
  // Nothing listens there.
  const repoUrl = 'https://127.0.0.1:1/x.git'
  const { id: app } = await scene.own.commands.apps.create({ name: 'away', repoUrl, deploy: false })
  const { id } = await scene.own.commands.deployments.deploy(app, {})
  await until(async () => {
    // Does not wait for the pause between two attempts.
    await scene.sql.query(`UPDATE deployment SET next_run_at = now() WHERE status = 'PENDING'`)
    scene.own.wakeups.queueChanged()
    return (await scene.deployment(id)).status === 'FAILED'
  })
  const failed = await scene.deployment(id)
  assert.deepEqual([failed.attempt, failed.error_code, failed.error_exit_code], [3, 'CLONE_FAILED', 128])
  assert.match(failed.error_message ?? '', /^git could not fetch .*Failed to connect.*\(tried 3 times\)/)
  assert.match(String(failed.error_last_lines), /Failed to connect to 127\.0\.0\.1 port 1/)
  assert.match(await scene.log(id), /Back in the queue: git could not fetch/)
})
