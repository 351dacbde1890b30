/** Runs what has been built, and builds nothing: what the image starts. `npm start` is for a checkout. */
const { main } = await import('../dist/src/main.js')
await main()
