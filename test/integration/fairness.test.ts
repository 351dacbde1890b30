import assert from 'node:assert/strict'
import { test } from 'node:test'
import { claimNext } from '../../src/engine/queue/claim.js'
import { settle } from '../../src/engine/queue/states.js'
import { DeploymentStatus } from '../../src/entities/deployment-status.js'
import { openProcesses, type TestProcess } from '../support/engine.js'

test('stages of an app take turns, however often one of them is pushed to', async () => {
  await using opened = await openProcesses(1)
  const { commands, database, wakeups } = opened.processes[0] as TestProcess
  const { id } = await commands.apps.create({
    name: 'shop',
    repoUrl: 'https://git.invalid/x.git',
    deploy: false,
  })
  await commands.stages.create(id, 'staging', null)
  const stages = ['production', 'staging']
  for (const first of stages) {
    const second = stages.find((stage) => stage !== first) as string
    await commands.deployments.deploy(id, { stage: first })
    const waiting = await commands.deployments.deploy(id, { stage: second })
    const claimed: string[] = []
    for (let pushes = 0; pushes < 2; pushes++) {
      await commands.deployments.deploy(id, { stage: first })
      const options = { workerId: 'worker', leaseMs: 30_000, totalConcurrency: null }
      const deployment = await claimNext(database, wakeups, options)
      claimed.push(deployment?.id ?? '')
      const claim = { deploymentId: deployment?.id ?? '', epoch: deployment?.epoch ?? 0 }
      await settle(database, claim, { to: DeploymentStatus.FAILED, text: 'Failed.' })
    }
    assert.ok(claimed.includes(waiting.id), `${second} waits for ${first}`)
    await database.query(`UPDATE deployment SET status = 'CANCELLED' WHERE status = 'PENDING'`)
  }
})
