import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { ContainerRequest } from '../../src/engine/docker/docker.js'
import { type Engines, type EngineUnderTest, EVERY_ENGINE, openEngines } from '../support/docker-engines.js'

const SIGNAL = new AbortController().signal

/** What others made beside ours, by Longshore's port: the same on the real engine and on the fake. */
for (const [name, { kind, speaks }] of Object.entries(EVERY_ENGINE)) {
  describe(`containers of others on the ${name}`, () => {
    let engines: Engines
    let engine: EngineUnderTest
    let image = ''
    before(async () => {
      engines = await openEngines(speaks)
      engine = engines[kind]
      image = `${engine.mark}:labelled`
      await engine.build(
        image,
        'FROM longshore-test/busybox:local\nLABEL longshore.instance=here\nCMD ["/bin/busybox", "sleep", "300"]\n',
      )
    })
    after(() => engines[Symbol.asyncDispose]())

    const request = (name: string): ContainerRequest => ({
      name: `${engine.mark}-${name}`,
      image,
      env: [],
      command: null,
      labels: { ...engine.labels, 'longshore.instance': 'here', 'longshore.epoch': '1' },
      memoryBytes: 64 * 1024 * 1024,
      cpus: 0.5,
      pids: 50,
    })
    const create = (name: string, labels: object = {}) =>
      engine.create(`${engine.mark}-${name}`, 'exec busybox sleep 300', { image, labels })

    test('are not listed, though they have the labels of an image of ours', async () => {
      assert.equal((await create('theirs')).status, 201)
      assert.equal((await create('ours', { 'longshore.epoch': '1' })).status, 201)
      const listed = await engine.port('buildkit').listContainers(`contract=${engine.mark}`)
      assert.deepEqual(
        listed.map(({ name, labels }) => [name, labels['longshore.instance']]),
        [[`${engine.mark}-ours`, 'here']],
      )
    })

    test('keep their names: a container of ours is refused with what to do', async () => {
      const others = { 'longshore.instance': 'there', 'longshore.epoch': '9' }
      for (const [name, labels] of Object.entries({ plain: {}, others })) {
        await create(name, labels)
        const before = await engine.inspect(`${engine.mark}-${name}`)
        const message = new RegExp(`name ${engine.mark}-${name} is taken.*docker rename`)
        const creating = engine.port('buildkit').createContainer(request(name), SIGNAL)
        await assert.rejects(creating, { name: 'DeployError', code: 'START_FAILED', message })
        assert.equal((await engine.inspect(`${engine.mark}-${name}`)).Id, before.Id)
      }
    })

    test('and their removals: whoever removes a container as well comes back when it is gone', async () => {
      const docker = engine.port('buildkit')
      for (let round = 0; round < 4; round++) {
        const name = `${engine.mark}-gone`
        assert.equal((await engine.create(name, 'exec busybox sleep 300', { policy: 'always' })).status, 201)
        await docker.startContainer(name, SIGNAL)
        const removals = [0, 1, 2, 3].map(async () => {
          await docker.removeContainer(name, 0)
          assert.equal(await docker.findContainer(name), null)
        })
        await Promise.all(removals)
      }
    })
  })
}
