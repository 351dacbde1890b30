import assert from 'node:assert/strict'
import { test } from 'node:test'
import { lawsHold } from '../support/laws.js'
import { webApp } from '../support/repository.js'
import { Scene } from '../support/scene.js'

test('a log that PostgreSQL refuses to store ends its deployment, with PostgreSQL’s reason', async () => {
  await using scene = await Scene.open()
  await using _worker = await scene.workerHere()
  const { app, deploymentId } = await scene.serving('steady')
  await scene.rows(`ALTER TABLE log_chunk ADD CONSTRAINT refuses_it CHECK (text NOT LIKE '%poison%')`)
  scene.repository.commit(webApp('new', ['echo poison']))
  const refused = await scene.deploy(app)
  await scene.reaches(refused, 'FAILED')
  const { error_code: code, error_message: message } = await scene.deployment(refused)
  assert.equal(code, 'LOG_REFUSED')
  assert.match(message ?? '', /violates check constraint "refuses_it"/)
  await lawsHold(scene)
  assert.equal((await scene.deployment(deploymentId)).status, 'RUNNING')
})
