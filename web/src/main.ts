import { App } from './app.js';

const place = document.getElementById('app');
if (place !== null) void new App(place).start();
