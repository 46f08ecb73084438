console.log("network-dra");
