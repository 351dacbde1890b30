import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { has, json, recipe } from '../support/detected.js'

const start = { scripts: { start: 'node a.js', build: 'tsc' } }
const berry = { ...start, packageManager: 'yarn@4.5.0' }

describe('the package manager of Node.js', () => {
  test('is pnpm by its lock file; what only the build needs is taken away as every pnpm understands it', () => {
    const { dockerfile } = recipe({ 'package.json': json(start), 'pnpm-lock.yaml': '' })
    has(dockerfile, [
      'RUN corepack enable',
      'COPY package.json pnpm-lock.yaml ./',
      'RUN CI=true pnpm install --frozen-lockfile',
      'RUN pnpm run build',
      'RUN CI=true pnpm install --frozen-lockfile --prod --ignore-scripts',
      'FROM node:22-slim',
    ])
    assert.doesNotMatch(dockerfile, /prune|ENV CI/)
  })

  test('is Yarn 1, which images have, or a later one, whose packages Node.js has to find', () => {
    const classic = recipe({ 'package.json': json(start), 'yarn.lock': '' }).dockerfile
    has(classic, ['RUN CI=true yarn install --frozen-lockfile', 'RUN yarn run build'])
    assert.doesNotMatch(classic, /corepack|global/)
    const { dockerfile, ignore } = recipe({ 'package.json': json(berry), 'yarn.lock': '' })
    has(dockerfile, [
      'RUN corepack enable',
      'ENV YARN_NODE_LINKER=node-modules YARN_ENABLE_GLOBAL_CACHE=true',
      'RUN CI=true yarn install --immutable',
    ])
    assert.ok(['.pnp.*', '.yarn/cache'].every((path) => ignore.includes(path)))
  })

  test('is not fetched each time a container starts', () => {
    const scripts = { start: 'NODE_ENV=production next start', build: 'next build' }
    for (const locks of [['pnpm-lock.yaml'], ['yarn.lock'], ['yarn.lock', '.yarnrc.yml']]) {
      const manifest = json({ scripts, dependencies: { next: '15' } })
      const { dockerfile } = recipe({
        'package.json': manifest,
        ...Object.fromEntries(locks.map((name) => [name, ''])),
      })
      const [, run = ''] = dockerfile.split(/^(?=FROM node:22-slim$)/m)
      has(run, [
        'ENV NODE_ENV=production PATH=/app/node_modules/.bin:$PATH',
        'CMD ["sh","-c","exec env NODE_ENV=production next start"]',
      ])
      assert.doesNotMatch(run, /corepack|pnpm|yarn/)
    }
  })

  test('is in the image where a script of the start calls it', () => {
    const scripts = { start: 'pnpm migrate && node a.js', migrate: 'node m.js' }
    const { dockerfile } = recipe({ 'package.json': json({ scripts }), 'pnpm-lock.yaml': '' })
    has(dockerfile, [
      'FROM node:22-slim AS build',
      'ENV COREPACK_HOME=/opt/corepack',
      'RUN CI=true pnpm install --frozen-lockfile',
      'FROM node:22-slim',
      'ENV COREPACK_HOME=/opt/corepack',
      'RUN corepack enable',
      'COPY --from=build --chown=1000:1000 /opt/corepack /opt/corepack',
      'CMD ["sh","-c","pnpm migrate && node a.js"]',
    ])
  })

  for (const [version, pnpm, yarn] of [
    ['22', 'RUN corepack enable', null],
    ['25', 'RUN npm install --global --force corepack && corepack enable', null],
    [
      '26',
      'RUN npm install --global --force corepack && corepack enable',
      'RUN npm install --global --force yarn@1',
    ],
  ] as const) {
    test(`is installed where images of Node.js ${version} do not have it`, () => {
      const manifest = json({ ...start, engines: { node: version } })
      has(recipe({ 'package.json': manifest, 'pnpm-lock.yaml': '' }).dockerfile, [pnpm])
      const { dockerfile } = recipe({ 'package.json': manifest, 'yarn.lock': '' })
      if (yarn === null) assert.doesNotMatch(dockerfile, /--global/)
      else has(dockerfile, [yarn, 'RUN CI=true yarn install --frozen-lockfile'])
    })
  }

  test('is installed where the name of the image does not tell its version', () => {
    const files = { 'package.json': json(start), 'pnpm-lock.yaml': '' }
    for (const node of ['node:lts-slim', 'localhost:5000/node', 'node@sha256:22ab'])
      has(recipe(files, { node }).dockerfile, [
        'RUN npm install --global --force corepack && corepack enable',
      ])
    has(recipe(files, { node: 'localhost:5000/x/node:v{version}@sha256:99' }).dockerfile, [
      'RUN corepack enable',
    ])
  })
})
