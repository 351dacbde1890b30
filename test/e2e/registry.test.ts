import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createApp, followLog, readDeployment } from '../support/client.js'
import { TestRegistry } from '../support/registry.js'
import { BASE_IMAGE, TestRepository, webApp } from '../support/repository.js'
import { Installation } from '../support/server.js'

describe('a base image that is not there yet', () => {
  for (const builder of ['buildkit', 'classic']) {
    test(`is pulled from a registry that wants a token of everybody (${builder})`, async () => {
      await using registry = await TestRegistry.start(BASE_IMAGE)
      await using installation = await Installation.create()
      await installation.start({ BUILDER: builder })
      const files = webApp('from afar')
      const dockerfile = files.Dockerfile?.replace(BASE_IMAGE, registry.image) ?? ''
      using repository = new TestRepository({ ...files, Dockerfile: dockerfile })
      const input = { name: `pulled-${builder}`, repoUrl: repository.url }
      const { deploymentId } = await createApp(installation.port, input)
      const log = (await followLog(installation.port, deploymentId)).map(({ text }) => text).join('')
      assert.equal((await readDeployment(installation.port, deploymentId)).status, 'RUNNING', log)
      assert.equal((await installation.fetch(`pulled-${builder}.localhost`)).body, 'from afar')
      assert.ok(registry.tokens > 0, 'the registry was asked')
    })
  }
})
