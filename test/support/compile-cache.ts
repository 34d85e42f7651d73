export const COMPILE_CACHE = 'TEST_COMPILE_CACHE'

/** For the environment of a process that a test starts: where Node finds the code that an earlier one compiled. */
export function compileCache(): Record<string, string | undefined> {
  return { NODE_COMPILE_CACHE: process.env[COMPILE_CACHE] }
}
