import { debianPackages } from './detected-build.js'
import type { Package } from './package-json.js'

/** Lines for a program that starts a browser: slim images have neither one nor its libraries. */
export interface Browser {
  /** Before packages are installed. */
  readonly build: readonly string[]
  /** As root, before the program's files are there, and after that. */
  readonly run: readonly string[]
  readonly after: readonly string[]
}

const NONE: Browser = { build: [], run: [], after: [] }

/** Puppeteer gets Debian's Chromium, Playwright the one that its version is made for. For tests alone there is none. */
export function browserOf({ dependencies }: Package): Browser {
  if (dependencies.has('puppeteer') || dependencies.has('puppeteer-core')) {
    const skip = 'ENV PUPPETEER_SKIP_DOWNLOAD=true'
    return {
      build: [skip],
      run: [
        ...debianPackages(['chromium', 'fonts-liberation']),
        `${skip} PUPPETEER_EXECUTABLE_PATH=/usr/bin/chromium`,
      ],
      after: [],
    }
  }
  if (!dependencies.has('playwright') && !dependencies.has('playwright-core')) return NONE
  return {
    build: ['ENV PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1'],
    run: ['ENV PLAYWRIGHT_BROWSERS_PATH=/opt/browsers'],
    after: ['RUN npx playwright install --with-deps chromium'],
  }
}
