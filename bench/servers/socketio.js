// A room on socket.io with its defaults: what one member sends, all members get.
const { Server } = require("socket.io");

const io = new Server({ transports: ["websocket"] });
io.on("connection", (socket) => {
  socket.join("room");
  socket.on("message", (message) => io.to("room").emit("message", message));
});
io.listen(Number(process.argv[2]));
