'use strict'
const { readFileSync, writeFileSync } = require('node:fs')
const { createRequire, wrap } = require('node:module')
const { join } = require('node:path')
const { constants, Script } = require('node:vm')

const FILE = join(__dirname, '../../dist/test/server/main.cjs')
const CODE = `${FILE}.code`

/** Runs the server that tests start. `--compile` only stores its code, so that no start compiles it again. */
function main(compiles) {
  const script = new Script(wrap(readFileSync(FILE, 'utf8')), {
    filename: FILE,
    ...(compiles ? {} : { cachedData: readFileSync(CODE) }),
    importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  })
  const server = { exports: {} }
  script.runInThisContext()(server.exports, createRequire(FILE), server, FILE, join(FILE, '..'))
  if (!compiles) return server.exports.main()
  return server.exports.load().then(() => writeFileSync(CODE, script.createCachedData()))
}

void main(process.argv.includes('--compile'))
