import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readConfig } from '../../src/config.js'
import { buildKey } from '../../src/engine/configuration/build-key.js'

test('what Longshore writes where there is no Dockerfile is part of what an image is made of', () => {
  const keyOf = (dockerfilePath: string, detectionVersion: number) => {
    const build = { contextPath: '.', dockerfilePath, target: null, args: {}, platform: null }
    const settings = { ...readConfig({}), detectionVersion }
    return buildKey('0'.repeat(40), { build, variables: [] }, settings)
  }
  assert.notEqual(keyOf('Dockerfile', 1), keyOf('Dockerfile', 2))
  assert.equal(keyOf('docker/Dockerfile', 1), keyOf('docker/Dockerfile', 2), 'none is written there')
})
