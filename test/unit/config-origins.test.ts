import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readConfig } from '../../src/config.js'

test('origins are taken as browsers send them', () => {
  const origins = (text: string) => readConfig({ CORS_ORIGINS: text }).corsOrigins
  assert.deepEqual(origins(' https://a.test/ ,http://localhost:5173'), [
    'https://a.test',
    'http://localhost:5173',
  ])
  for (const bad of [
    '*',
    'a.test',
    'https://a.test/app',
    'https://A.test',
    'file:///x',
    'https://u@a.test',
  ]) {
    assert.throws(() => origins(bad), /CORS_ORIGINS: ".*" is not an origin such as/, bad)
  }
})
