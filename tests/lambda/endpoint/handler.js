// Passes each event on to an instance of the native bootstrap in task/.
const { createFunction } = require('@vercel/fun');

const most = 1000; // instances
let made;

async function make() {
  const worker = await createFunction({
    Code: { Directory: `${__dirname}/task` },
    Handler: 'bootstrap',
    Runtime: 'provided',
    FunctionName: 'worker',
    Region: 'us-east-1',
    AccessKeyId: 'role',
    SecretAccessKey: 'role-secret',
  });
  Object.assign(worker.provider.pool._config, { max: most, acquireTimeoutMillis: 120000 });
  return worker;
}

// An event whose handler fails would end the whole server: what goes wrong is an answer as well.
exports.worker = async (event) => {
  try {
    made ||= make();
    const result = await (await made).invoke({ InvocationType: 'RequestResponse', Payload: JSON.stringify(event) });
    return { error: result.FunctionError ?? null, payload: String(result.Payload) };
  } catch (error) {
    return { error: 'Handler', payload: String(error) };
  }
};
