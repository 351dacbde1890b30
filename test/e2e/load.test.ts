import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { failuresOf, sendLoad, summarise, versioned } from '../support/load.js'
import { Rollout } from '../support/rollout.js'
import { Installation } from '../support/server.js'

/** At least; until all deployments are through. */
const SECONDS = 10
const PER_SECOND = 200
const SOCKETS = 4

let installation: Installation

before(async () => {
  installation = await Installation.create()
  await installation.start({ WATCH_SECONDS: '8', DRAIN_SECONDS: '2' })
})
after(() => installation[Symbol.asyncDispose]())

// The long one, with a worker that is killed: `npm run bench -- traffic`.
test('200 requests a second see nothing of good, broken and rolled back deployments', async (t) => {
  await using rollout = await Rollout.open(installation, 'one')
  const order = { ...rollout.order, perSecond: PER_SECOND, seconds: SECONDS, sockets: SOCKETS }
  const deployments = (async () => {
    await rollout.good('two')
    await rollout.fails(versioned('ends', 'exit 3'), 'EXITED')
    await rollout.good('three')
    await rollout.sickens('sickens', 'three')
    await rollout.good('four')
  })()
  const [report] = await sendLoad(order, deployments)

  const wrong = rollout.timeline.wrong(report.answers)
  t.diagnostic(summarise(report, wrong.length))
  assert.ok(report.answers.length > (PER_SECOND * SECONDS) / 4, 'the machine was too busy for a load')
  assert.deepEqual(failuresOf(report), new Map())
  assert.deepEqual(wrong.slice(0, 3), [])
  const seen = new Set(report.answers.map(({ page }) => page))
  assert.deepEqual([...seen], ['one', 'two', 'three', 'sickens', 'four'])
  assert.deepEqual(report.sockets.failures, [])
  assert.ok(report.sockets.sent > (SOCKETS * SECONDS) / 2, `only ${report.sockets.sent} messages`)
  assert.equal(report.sockets.echoed, report.sockets.sent)
})
