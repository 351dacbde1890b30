import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { has, json, problem, recipe } from '../support/detected.js'

function dockerfileOf(manifest: object, files: Record<string, string> = {}): string {
  return recipe({ 'package.json': json(manifest), ...files }).dockerfile
}

const PRUNE = /^RUN npm prune/m

describe('the start of Node.js', () => {
  test('of NestJS is start:prod, for which nothing is compiled again', () => {
    const scripts = { build: 'nest build', start: 'nest start', 'start:prod': 'node dist/main' }
    const dockerfile = dockerfileOf({ scripts, devDependencies: { '@nestjs/cli': '11' } })
    has(dockerfile, ['RUN npm prune --omit=dev --ignore-scripts', 'CMD ["node","dist/main"]'])
  })

  for (const [start, packages] of [
    ['nest start', ['@nestjs/cli']],
    ['tsx src/index.ts', ['tsx']],
    ['NODE_ENV=production tsx src/index.ts', ['tsx']],
    ['node -r ts-node/register src/index.ts', ['ts-node']],
    ['node --import @swc-node/register src/index.ts', ['@swc-node/register']],
    ['vite preview --host --port $PORT', ['vite']],
    ['cross-env NODE_ENV=production nest start', ['@nestjs/cli']],
    ['npm run migrate && node a.js', ['knex']],
    ['./node_modules/.bin/nest start', ['@nestjs/cli']],
  ] as const) {
    test(`keeps the packages of the build that "${start}" needs`, () => {
      const scripts = { build: 'x', migrate: 'knex migrate:latest', start }
      const dependencies = { 'cross-env': '7' }
      const devDependencies = Object.fromEntries(packages.map((name) => [name, '1']))
      assert.doesNotMatch(dockerfileOf({ scripts, dependencies, devDependencies }), PRUNE)
      assert.match(dockerfileOf({ scripts, dependencies }), PRUNE, 'there is nothing to keep')
    })
  }

  for (const start of [
    'node dist/main.js',
    'next start',
    'exec next start -p $PORT',
    'remix-serve build/server',
    'NODE_ENV=production node .',
    'npx prisma migrate deploy && node a.js',
  ]) {
    test(`takes away what "${start}" does not need`, () => {
      const dependencies = { next: '15', '@remix/serve': '2', prisma: '6' }
      assert.match(dockerfileOf({ scripts: { start }, dependencies, devDependencies: { tsx: '4' } }), PRUNE)
    })
  }

  test('that a Procfile gives to a script is the script itself', () => {
    const scripts = { start: 'nodemon a.js', serve: 'node a.js', migrate: 'node m.js' }
    const of = (Procfile: string) =>
      dockerfileOf({ scripts, devDependencies: { nodemon: '3' } }, { Procfile })
    for (const line of ['npm run serve', 'exec yarn serve']) {
      has(of(`web: ${line}`), ['CMD ["node","a.js"]'])
      assert.match(of(`web: ${line}`), PRUNE)
    }
    assert.doesNotMatch(of('web: npm start'), PRUNE)
    has(of('web: npm run migrate && npm run serve'), ['CMD ["sh","-c","npm run migrate && npm run serve"]'])
    has(of('web: npm install'), ['CMD ["sh","-c","exec npm install"]'])
  })

  test('of Nuxt is what its build makes, or pages where it makes those', () => {
    const nuxt = { dependencies: { nuxt: '4' } }
    for (const scripts of [{ build: 'nuxt build' }, { build: 'nuxt build', start: 'nuxt preview' }])
      has(dockerfileOf({ ...nuxt, scripts }), ['CMD ["node",".output/server/index.mjs"]'])
    has(dockerfileOf({ ...nuxt, scripts: { build: 'nuxt generate' } }), [
      'COPY --from=build /app/.output/public/ /www/',
    ])
  })

  test('of SvelteKit depends on its adapter', () => {
    const scripts = { build: 'vite build', start: 'vite preview' }
    const of = (adapter: string) => ({ scripts, devDependencies: { '@sveltejs/kit': '2', [adapter]: '5' } })
    has(dockerfileOf(of('@sveltejs/adapter-node')), ['CMD ["node","build"]'])
    has(dockerfileOf(of('@sveltejs/adapter-static')), ['COPY --from=build /app/build/ /www/'])
    const auto = { 'package.json': json(of('@sveltejs/adapter-auto')) }
    assert.match(problem(auto), /adapter-node.*adapter-static/)
    has(dockerfileOf({ ...of('@sveltejs/adapter-auto'), scripts: { ...scripts, start: 'node x.js' } }), [
      'CMD ["node","x.js"]',
    ])
  })

  test('is no server for development, but only that', () => {
    const pages = /COPY --from=build \/app\/dist\/ \/www\//
    for (const start of ['vite', 'vite --host', 'vite dev', 'vite preview', 'ng serve', 'parcel index.html'])
      assert.match(dockerfileOf({ scripts: { start, build: 'x' } }), pages, start)
    for (const start of ['vite-node a.ts', 'vite build && node a.js', 'parcel build && node a.js'])
      assert.doesNotMatch(dockerfileOf({ scripts: { start, build: 'x' } }), pages, start)
  })
})

describe('pages that Node.js makes', () => {
  const angular = (options: object, builder = '@angular/build:application') => {
    const architect = { build: { builder, options } }
    const projects = { lib: { projectType: 'library' }, site: { projectType: 'application', architect } }
    return { 'angular.json': json({ version: 1, projects }) }
  }
  const manifest = { scripts: { start: 'ng serve', build: 'ng build' } }

  for (const [options, builder, folder] of [
    [{ outputPath: 'dist/shop' }, '@angular-devkit/build-angular:browser', 'dist/shop'],
    [{ outputPath: './dist/shop/' }, '@angular-devkit/build-angular:application', 'dist/shop/browser'],
    [{ outputPath: { base: 'out', browser: '' } }, '@angular/build:application', 'out'],
    [{ outputPath: { base: 'out', browser: 'web' } }, '@angular/build:application', 'out/web'],
    [{}, '@angular/build:application', 'dist/site/browser'],
    [{ outputPath: '../out' }, '@angular/build:application', 'dist'],
    [{ outputPath: 'a /\nRUN touch /evil' }, '@angular/build:application', 'dist'],
  ] as const) {
    test(`of Angular are where angular.json says: ${json(options)}`, () => {
      has(dockerfileOf(manifest, angular(options, builder)), [
        'RUN npm run build',
        `RUN test -f ${folder}/index.html || { echo 'the build made no ${folder}/index.html: add a start script or a Dockerfile'; exit 1; }`,
        `COPY --from=build /app/${folder}/ /www/`,
      ])
    })
  }

  test('of Angular are guessed at where angular.json tells nothing', () => {
    for (const text of ['', '{', '[]', '{"projects":{"a":{"projectType":"library"}}}', '{"projects":3}'])
      assert.match(dockerfileOf(manifest, { 'angular.json': text }), /\/app\/dist\/ /)
  })
})
